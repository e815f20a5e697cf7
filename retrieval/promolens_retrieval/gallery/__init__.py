"""Making galleries: catalogue pictures to stored vectors to a signed folder for phones."""

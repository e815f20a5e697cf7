"""Ways to get a page: plain HTTP, a real browser, an archive of earlier answers."""

"""What phones download: a store of signed releases, channels over it, and how files are sent."""

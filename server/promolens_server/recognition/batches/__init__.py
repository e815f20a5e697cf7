"""Many pictures in one order: stored, worked on, resumed after a crash, forgotten in time."""

"""One file a chain: where its lists are, how they are paged, how one card is read."""

"""What a product, promotion, snapshot and store is; how they are stored, found and linked."""

"""Shop pages to catalog snapshots: fetched politely, parsed purely, published whole or never."""

"""Pages for the people who run the service; there only where PROMOLENS_ADMIN_TOKEN is set."""

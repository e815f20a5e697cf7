"""A page of invented products to hold a phone's camera to, one a screen, or on paper."""

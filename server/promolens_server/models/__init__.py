"""What answers look like in the OpenAPI document, with examples."""

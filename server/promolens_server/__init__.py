"""The catalog, stores and bundles over HTTP. Never imports TensorFlow."""

"""Pictures that people send of their own will, to make recognition better."""

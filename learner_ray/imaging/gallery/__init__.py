"""A page with a picture of every scan as the network sees it, for a person to look through."""

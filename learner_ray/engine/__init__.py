"""How a study runs on Ray, the only package that imports it."""

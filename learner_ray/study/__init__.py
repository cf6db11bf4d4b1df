"""A study: its arms, its plan, the search of each arm in each fold, and the tables. Knows neither Ray nor
PyTorch.
"""

"""Ledger to statistics to tables, figures and page. Imports neither ray nor torch."""

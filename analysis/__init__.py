"""From the results folders of studies to tables, figures and one page.

The parts import each other in one direction: ``results`` (folders, read and checked), ``statistics``,
``tables``, ``figures``, ``page``, ``report.py``. None imports ray, torch or ``learner_ray``.
"""

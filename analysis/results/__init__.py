"""What a study left in its results folder, read and checked, under today's names.

Everything else of ``analysis`` is computed from the ``StudyResults`` that ``load`` returns. This part imports
nothing of the others.
"""

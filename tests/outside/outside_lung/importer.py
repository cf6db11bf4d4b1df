from learner_ray.cohort.sources.layout_importer import LayoutImporter
from outside_lung.source import RatedClips


class RatedClipsImporter(LayoutImporter):
    """What a sweep reads of the folder, as a manifest that can be edited."""

    name = "rated_clips"
    needs = RatedClips.needs
    layout = RatedClips

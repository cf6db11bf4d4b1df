from collections.abc import Sequence
from pathlib import Path

from learner_ray.cohort import SF_RATIO, Cohort
from learner_ray.cohort.cohort import Scan, scan_table
from learner_ray.cohort.sources.base import SourceLayout
from learner_ray.cohort.sources.tables import FIRST_ROW, read_table


class RatedClips(SourceLayout):
    """Clips beside a table that says whose they are, of which session, and how ill the patient was."""

    name = "rated_clips"
    needs = "ratings.csv and clips/"

    def recognises(self, folder: Path) -> bool:
        return (folder / "ratings.csv").is_file() and (folder / "clips").is_dir()

    def read(self, folder: Path, missing: Sequence[str] = ()) -> Cohort:
        table = folder / "ratings.csv"
        rows = read_table(table, ("clip", "subject", "session", "sf"))
        scans = [
            Scan(
                scan=row.clip,
                files=(str((folder / "clips" / row.clip).absolute()),),
                patient=row.subject,
                visit=row.session,
                order=float(row.session),
                score=float(row.sf),
                source=str(table),
                row=int(row.Index) + FIRST_ROW,
            )
            for row in rows.itertuples()
            if row.sf not in missing
        ]
        return Cohort(name="rated clips", modality="lus", score=SF_RATIO, scans=scan_table(scans))

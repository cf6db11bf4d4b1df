"""A job's log says what is wrong and in which row, and names no file, no id and no words of an exception."""

import stat

import pytest

from learner_ray.core.withheld import VARIABLE, sayable, without_names


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "warning: 2 scans cannot be read:\n  /d/m.csv, row 7: /d/DOE JANE/x.dcm cannot be read\n  row 9",
            "warning: 2 scans cannot be read:\n  row 7, row 9",
        ),
        ("warning: 1 scan may show names:\n  DOE_JANE", "warning: 1 scan may show names:"),
        ("mse/r0-f0: ValueError: DOE JANE, 1947", "mse/r0-f0: ValueError"),
        (
            "/d/Doe Jane/m.csv, row 3: patient 'DOE' is \"Doe\" of m; leave it out",
            "PATH, row 3: patient ... is ... of m; leave it out",
        ),
        ("--trials 0.5: write a whole number", "--trials 0.5: write a whole number"),
    ],
)
def test_messages_are_withheld_but_for_rows_and_kinds(message, said):
    assert without_names(message) == said


def test_the_whole_message_is_kept_for_its_owner(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert sayable("IOError: /d/DOE.dcm") == "IOError: /d/DOE.dcm"
    file = tmp_path / "new" / "messages.txt"
    monkeypatch.setenv(VARIABLE, str(file))
    assert sayable("IOError: /d/DOE.dcm") == f"IOError [whole in {file}]"
    assert sayable("3 of 4 runs") == "3 of 4 runs"
    assert file.read_text() == "IOError: /d/DOE.dcm\n" and stat.S_IMODE(file.stat().st_mode) == 0o600

import numpy as np
import pytest
from PIL import Image

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.picture import read_picture


@pytest.mark.parametrize("name", ["chest.png", "chest.jpg"])
def test_eight_bits_are_kept_and_padded(tmp_path, name):
    Image.fromarray(np.full((64, 128), 180, np.uint8)).save(tmp_path / name)
    read = read_picture(str(tmp_path / name), 64)
    assert read.shape == (1, 64, 64) and read.dtype == np.uint8
    np.testing.assert_allclose(read[0, 16:48], 180, atol=2)
    assert read[0, :16].max() == 0 and read[0, 48:].max() == 0


def test_sixteen_bits_are_scaled_to_their_percentiles(tmp_path):
    ramp = np.linspace(1000, 5000, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "chest.png")
    read = read_picture(str(tmp_path / "chest.png"), 64)
    assert read.min() == 0 and read.max() == 255
    assert 120 < read.mean() < 135


def test_truncated_picture_is_refused(tmp_path):
    path = tmp_path / "chest.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ScanError, match="cannot be read as a picture"):
        read_picture(str(path), 32)

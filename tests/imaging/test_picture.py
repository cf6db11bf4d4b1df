import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
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


def noise(depth: type[np.generic] = np.uint8, count: int = 3) -> np.ndarray:
    high = 256 if depth is np.uint8 else 60_000
    return np.random.default_rng(1).integers(0, high, (count, 40, 60)).astype(depth)


@pytest.mark.parametrize("name", ["s.tif", "s.tiff", "s.webp"])
def test_pages_are_frames(tmp_path, name):
    first, *others = map(Image.fromarray, noise())
    first.save(tmp_path / name, save_all=True, append_images=others, lossless=True)
    read = read_picture(str(tmp_path / name), 60)
    np.testing.assert_array_equal(read[:, 10:50], noise())


@pytest.mark.parametrize("name", ["s.bmp", "s.webp", "s.tif"])
def test_a_single_picture_is_kept_to_the_grey_level(tmp_path, name):
    Image.fromarray(noise()[0]).save(tmp_path / name, lossless=True)
    np.testing.assert_array_equal(read_picture(str(tmp_path / name), 60)[0, 10:50], noise()[0])


def test_a_deep_stack_is_scaled_as_one(tmp_path):
    levels = np.linspace(1000, 50_000, 4)[:, None, None] * np.ones((1, 40, 60))
    first, *others = map(Image.fromarray, levels.astype(np.uint16))
    first.save(tmp_path / "s.tif", save_all=True, append_images=others)
    assert read_picture(str(tmp_path / "s.tif"), 60)[:, 30, 30].tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, -1), (8, 1)])
def test_a_tiff_that_is_stored_on_its_side_is_turned_up(tmp_path, compression, orientation, turns):
    image = Image.fromarray(noise()[0])
    image.save(tmp_path / "s.tif", tiffinfo={274: orientation}, compression=compression)
    read, expected = read_picture(str(tmp_path / "s.tif"), 60)[0], np.rot90(noise()[0], turns)
    top, left = ((60 - length) // 2 for length in expected.shape)
    np.testing.assert_array_equal(read[top : 60 - top, left : 60 - left], expected)


def test_a_deep_tiff_whose_white_is_zero_is_turned_round(tmp_path):
    ramp = np.tile(np.linspace(0, 60_000, 60), (60, 1)).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "s.tif", tiffinfo={262: 0})
    read = read_picture(str(tmp_path / "s.tif"), 60)[0, 30].astype(int)
    assert read[0] == 255 and read[-1] == 0 and (np.diff(read) <= 0).all()


def test_pages_of_two_sizes_are_refused(tmp_path):
    first, second = Image.fromarray(noise()[0]), Image.fromarray(noise()[1, :20, :30])
    first.save(tmp_path / "s.tif", save_all=True, append_images=[second])
    with pytest.raises(ScanError, match=r"pages that differ in size or depth \(1 and 2\)"):
        read_picture(str(tmp_path / "s.tif"), 32)


@pytest.mark.parametrize("name", ["s.tif", "s.bmp", "s.webp"])
@given(share=st.floats(0.0, 0.999))
def test_a_picture_that_is_cut_short_is_refused_wherever(tmp_path_factory, name, share):
    path = tmp_path_factory.mktemp("cut") / name
    Image.fromarray(noise()[0]).save(path, lossless=True)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScanError):
        read_picture(str(path), 32)

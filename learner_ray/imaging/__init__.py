"""From a file to grey uint8 frames, once: readers, the pixel cache, frame sampling and augmentation."""

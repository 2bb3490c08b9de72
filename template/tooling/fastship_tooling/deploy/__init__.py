"""`deploy`: build the image, start the new version next to the old one, and switch when it is ready."""

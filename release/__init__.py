"""A release: packages, images, lists of their packages, site, notes and checksums."""

"""Photos of garments that nobody ever wore: rendered, openly, with numpy and OpenCV."""

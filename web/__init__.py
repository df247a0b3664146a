"""Takes in and shows; never calls out."""

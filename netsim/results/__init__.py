"""What runs came to: the summary and the bounds."""

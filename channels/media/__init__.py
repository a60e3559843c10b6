"""What a channel opens, by family, and what all media share."""

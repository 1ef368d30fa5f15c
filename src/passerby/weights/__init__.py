"""Reading weights into models."""

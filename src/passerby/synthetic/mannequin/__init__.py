"""The figure of a person: skeleton, surfaces, and what covers them."""

"""The adaptation of a trained model to unlabeled crops from other cameras."""

"""Numbers as figures and sentences write them, one way for all."""

from __future__ import annotations


def number(distance: float) -> str:
    """Up to four digits, whatever the scale: models compare embeddings of length 1, or as they are.

    >>> number(0.123456), number(1234.56), number(5.4321e-6)
    ('0.1235', '1,235', '5.432e-06')
    """
    return f"{distance:,.0f}" if distance >= 999.95 else f"{distance:.4g}"


def probability(value: float) -> str:
    """Two digits, but never certain.

    >>> probability(0.999), probability(0.25)
    ('P > 0.99', 'P = 0.25')
    """
    if value > 0.99:
        return "P > 0.99"
    return "P < 0.01" if value < 0.01 else f"P = {value:.2f}"

"""Prices, in cents."""

import math


def discounted(price: int, percent: int) -> int:
    """The price less so many percent."""
    return price - price * percent // 100


def with_tax(price: int, rate: int = 19) -> int:
    """The price with a tax of so many percent."""
    return price + price * rate // 100

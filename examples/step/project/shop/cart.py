"""What somebody wants to buy."""

from shop.price import discounted, with_tax


class Cart:
    """Items with their prices, and a discount on all of them."""

    def __init__(self, percent: int = 0) -> None:
        self.percent = percent
        self.items: list[tuple[str, int]] = []

    def add(self, name: str, price: int) -> None:
        """Put an item in."""
        self.items.append((name, price))

    def total(self) -> int:
        """What is to be paid."""
        return with_tax(discounted(sum(price for _, price in self.items), self.percent))

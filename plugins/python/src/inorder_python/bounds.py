"""How much of a text is given back."""


def clip(text, limit):
    """`text` if it has at most `limit` characters, else its beginning and its end, with how many are between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def ranges(numbers):
    """Pairs of first and last as text: `3-5, 9`."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in numbers)

"""Choices between ways to compute the same: fastnn.backends.conv.allow_winograd."""

from fastnn.ops import conv as _conv


class _Conv:
    """How convolutions are computed."""

    __slots__ = ()

    @property
    def allow_winograd(self):
        """May convolutions with 3x3 taps and stride 1 use Winograd's tiles? True at first.

        They need up to four times fewer multiplications, and are used where that is faster.
        An infinity or NaN in the input makes NaN of all outputs of its tile, up to 4 x 4,
        where the direct way keeps infinities and spoils fewer pixels.
        """
        return _conv.winograd_is_allowed()

    @allow_winograd.setter
    def allow_winograd(self, allow):
        if not isinstance(allow, bool):
            raise TypeError(f"allow_winograd must be True or False, not {allow!r}")
        _conv.set_winograd_allowed(allow)


conv = _Conv()

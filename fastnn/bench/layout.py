"""The memory format that a library is timed with."""

from types import ModuleType


class ChannelsLast:
    """A library as those set it up who ask for channels-last memory: images and filters are made
    so, and networks moved to it."""

    def __init__(self, lib: ModuleType) -> None:
        self.lib = lib

    def __getattr__(self, name: str):
        return getattr(self.lib, name)

    def randn(self, *shape: int):
        x = self.lib.randn(*shape)
        return x.contiguous(memory_format=self.lib.channels_last) if len(shape) == 4 else x


def network(lib: ModuleType, net):
    """net, in the memory format that lib is timed with."""
    return net.to(memory_format=lib.channels_last) if isinstance(lib, ChannelsLast) else net

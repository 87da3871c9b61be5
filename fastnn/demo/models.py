"""The two networks of the demo."""

from __future__ import annotations

from fastnn import Tensor, nn
from fastnn.models import SequenceClassifier, mnist_cnn


class RowReader(nn.Module):
    """An LSTM that reads an image row by row, top to bottom, and then says what it saw."""

    def __init__(self, width: int = 28, hidden: int = 128, classes: int = 10) -> None:
        super().__init__()
        self.reader = SequenceClassifier(width, classes, "LSTM", hidden)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, height, width) -> (N, classes)"""
        return self.reader(images.squeeze(1))


MODELS = {"CNN": mnist_cnn, "LSTM": RowReader}
EPOCHS = {"CNN": 12, "LSTM": 20}
LEARNING_RATE = {"CNN": 1e-3, "LSTM": 2e-3}

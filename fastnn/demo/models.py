"""The two networks of the demo."""

from __future__ import annotations

from fastnn import Tensor, nn


def cnn(classes: int = 10) -> nn.Module:
    """The textbook CNN: two convolutions with pooling, two linear layers (421,642 parameters)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


class RowReader(nn.Module):
    """An LSTM that reads an image row by row, top to bottom, and then says what it saw."""

    def __init__(self, width: int = 28, hidden: int = 128, classes: int = 10) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, height, width) -> (N, classes)"""
        output, _ = self.lstm(images.squeeze(1))
        return self.head(output[:, -1])


MODELS = {"CNN": cnn, "LSTM": RowReader}
EPOCHS = {"CNN": 12, "LSTM": 20}
LEARNING_RATE = {"CNN": 1e-3, "LSTM": 2e-3}

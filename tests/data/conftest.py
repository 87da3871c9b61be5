"""What the tests of readers share: files with the contents that a test gives."""

import gzip

import pytest


@pytest.fixture
def write(tmp_path):
    def function(content, name="file", compress=False):
        content = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if compress else content)
        return path

    return function

"""What looks at a simulation while it runs."""

from .frames import Frames, begin_recording, end_recording

__all__ = ["Frames", "begin_recording", "end_recording"]

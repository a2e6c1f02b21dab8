"""What people read of a drill: the timeline around a violation as text, and the whole as one HTML page."""

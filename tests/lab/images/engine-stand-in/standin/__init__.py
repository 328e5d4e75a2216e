"""An engine that has no model: `serving` speaks HTTP, the other modules have the endpoints."""

"""A fleet of devices that learn together: polygraft says what is learnt, Flower carries it."""

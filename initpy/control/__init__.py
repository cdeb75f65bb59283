"""Floor 3: the control plane's helper: what answers clients."""

"""From deliveries to requests, and from replies to states."""

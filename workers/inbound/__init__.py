"""From the inbox to records, events and deliveries, in one transaction a batch."""

"""Will a limit be crossed: probability, lead, and alarms within a budget of false ones."""

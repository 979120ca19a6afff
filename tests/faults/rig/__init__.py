"""What the fault tests are built from: an installation to break, a load that keeps its books, a proxy that cuts."""

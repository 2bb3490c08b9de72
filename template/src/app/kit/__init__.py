"""Building blocks that are independent of the domains. `copier update` replaces them."""

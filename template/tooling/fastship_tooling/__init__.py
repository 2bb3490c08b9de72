"""Development tools. `copier update` replaces them."""

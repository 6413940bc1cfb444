def load_excel(*a,**k): raise NotImplementedError

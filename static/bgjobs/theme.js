(()=>{function e(r){try{return localStorage.getItem(`bgjobs-${r}`)}catch{return null}}var{dataset:o}=document.documentElement,t=e("theme");(t==="light"||t==="dark")&&(o.theme=t);o.scripted="";})();
